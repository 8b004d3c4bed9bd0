"""The renderer's parts: shapes, colours and the functions that draw with them.

Every drawing function changes the canvas of its ``DrawingContext`` in place and uses these names:

    ctx   the context: sitter, geometry of the face, colours and canvas
    w     the window that it draws in; grids are (h, w) on a ``Window``, (2, h, w) on a ``Pair``
    g, c  geometry of the face and colours of the sitter
    a, ax grids: x measured outwards from the middle of the face or of the feature
    u     grid: x on the turned face
    p, q  grids: position along a feature, -1 to 1 between its ends (p: without the sign)
    d     grid: signed distance to the shape, negative inside

Positions and lengths are in face coordinates (see ``geometry``), colours and opacities in [0, 1].
Light comes from the upper left. Numbers without a name are the authors' values, tuned by
eye; a test checks that the options of every attribute differ visibly at 64 px.
"""
