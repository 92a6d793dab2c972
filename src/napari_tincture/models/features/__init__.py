"""Networks whose features of images metrics and losses compare."""
