"""Make models smaller: with other storage types, fewer dimensions, or vectors that tokens share."""
