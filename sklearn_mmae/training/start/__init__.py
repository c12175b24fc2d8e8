"""The closed-form start: what a network knows before its first step."""
