//! The application that every model serves, without I/O: routes, pages, remarks, and the store's protocol
