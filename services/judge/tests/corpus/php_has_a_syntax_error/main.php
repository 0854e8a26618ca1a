<?php
echo "a";
echo 1 +;
