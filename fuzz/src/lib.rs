//! Fuzz targets over hostile bytes and input sequences, and the replay of their corpora
