"""What every room uses and none owns: files, records, processors. Standard library only."""
