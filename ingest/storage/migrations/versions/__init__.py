"""One file a version, each frozen once released: they say what the tables were then, not what they are now."""
