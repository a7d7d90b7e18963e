"""What joins the Arrow border to other libraries: a module for each, which imports that library, and no more than it needs."""
