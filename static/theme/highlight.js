// mdBook copies a file of this name into every site. No page of this book loads it.
