"""Results made elsewhere: the list of edits that a program in any language can work through, and the row that its
pictures become.
"""
