"""What every part may lean on: errors, missing values, random numbers, archives."""
