"""How far two images of the same place are apart, and putting one where the other is."""
