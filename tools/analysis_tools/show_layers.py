"""List the layers of a model, or of a student and its teacher, with their shapes."""

from dpk_mm.analysis.layers import main

if __name__ == '__main__':
    main()
