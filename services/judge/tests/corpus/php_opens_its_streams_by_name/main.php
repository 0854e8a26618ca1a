<?php
echo "first\n";
file_put_contents("php://stdout", file_get_contents("php://stdin")) !== false or exit(1);
file_put_contents("php://output", "last\n") !== false or exit(2);
file_put_contents("php://stderr", "error\n") !== false or exit(3);
