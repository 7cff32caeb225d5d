cimport cython


@cython.locals(size=Py_ssize_t, small=list)
cpdef write_buffers(transport, list buffers)
