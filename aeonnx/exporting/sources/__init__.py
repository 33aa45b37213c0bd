"""Load external modules, and check modules before they are captured."""
