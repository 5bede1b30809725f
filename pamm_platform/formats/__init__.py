"""How languages write figures, where Django's own way is not the one of money."""
