"""From an instance to a job: when is a study whole, may it be worked on, and what do the rules make of it?"""
