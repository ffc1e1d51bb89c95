"""Who is watching? Reports, figures and pages. Nothing here decides anything."""
