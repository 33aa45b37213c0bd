"""Whether eager torch gives the same outputs twice: checked before a module is captured."""
