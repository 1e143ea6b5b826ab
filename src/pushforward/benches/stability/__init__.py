"""Which methods end well whatever they are set to: arms x settings x seeds, each for the same CPU seconds."""
