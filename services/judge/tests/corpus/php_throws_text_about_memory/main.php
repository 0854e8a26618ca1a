<?php
throw new Exception("Fatal error: Out of memory (allocated 1) (tried to allocate 1 bytes) in a on line 1");
