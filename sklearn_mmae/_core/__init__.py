"""What every part may lean on: errors, holes, random numbers, archives. Imports nothing of the package."""
