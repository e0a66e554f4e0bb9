"""Search: a pure function of one user's rows, ranked in core; stores only store (rule R17).

``words`` makes terms of text, ``keyword_index`` ranks by BM25, ``vectors`` by cosine, ``ranking``
brings both together. ``user_index`` holds one user's rows in the process, ``index_cache`` many of
them; ``searching`` keeps them equal to what is stored.
"""
