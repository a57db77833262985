"""Tables of numbers and categories with a class or a value for each row."""
