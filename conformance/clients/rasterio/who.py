"""GDAL's /vsis3, from the library in rasterio's wheel."""
import ctypes
import glob
import os
from urllib.parse import urlsplit

os.environ.update(AWS_S3_ENDPOINT=urlsplit(os.environ["AWS_ENDPOINT_URL_S3"]).netloc, AWS_HTTPS="NO", AWS_VIRTUAL_HOSTING="FALSE",
                  GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR")

import loop
import rasterio

gdal = ctypes.CDLL(glob.glob(os.path.join(os.path.dirname(rasterio.__file__), "..", "rasterio.libs", "libgdal-*"))[0])
gdal.VSIFOpenL.restype = ctypes.c_void_p
gdal.VSIFOpenL.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
gdal.VSIFReadL.restype = ctypes.c_size_t
gdal.VSIFReadL.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p]
gdal.VSIFCloseL.argtypes = [ctypes.c_void_p]


def whoami():
    gdal.VSICurlClearCache()
    f = gdal.VSIFOpenL(b"/vsis3/conformance/whoami", b"rb")
    if not f:
        raise OSError("GDAL can't open it")
    text = ctypes.create_string_buffer(1000)
    read = gdal.VSIFReadL(text, 1, 1000, f)
    gdal.VSIFCloseL(f)
    return text.raw[:read].decode()


loop.main(rasterio.__version__ + ", GDAL " + rasterio.__gdal_version__, whoami)
