"""What learning sees of finished episodes, kept so that none has to be read twice."""
