"""What only the command line uses: measurements, diagnoses, pages and demos."""
