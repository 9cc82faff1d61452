"""What the formats of office programs share: runs of text, lists, drawings, charts, embedded objects."""
