"""Blood for virtual Wright-Giemsa staining: simulated without its stain, and with debris."""
