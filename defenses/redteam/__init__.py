"""Makes new attacks and their lawful neighbours, tries them on a target, learns from them."""
