"""What an answer means here: masks and values become DICOM objects that PACS and viewers take.

Import what you need from its module (`encoders`, `result`, `output`): this face stays light, and so does importing
those, because the libraries that build objects are loaded inside the functions that use them.
"""
