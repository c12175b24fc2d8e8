"""The learning side: dictionaries of tensors and masks in, a fitted network out. Knows no cells."""
