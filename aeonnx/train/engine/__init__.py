"""The course of a run: its plan, its loop and steps, what it saves and resumes from."""
