"""The networks as torch modules: what is trained, and what is stored of classifiers."""
