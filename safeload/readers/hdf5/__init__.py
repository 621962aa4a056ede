"""HDF5 files: plain ones are read in their own bytes, others walked before libhdf5 reads them. Layer: readers."""
