"""HDF5 files: their structure is walked before libhdf5 sees them. Layer: readers."""
