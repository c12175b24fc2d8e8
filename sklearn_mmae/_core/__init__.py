"""What every part may lean on: errors, holes, random numbers, archives. Imports no other."""
