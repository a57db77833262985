"""Tables of texts with numbers and categories beside each."""
