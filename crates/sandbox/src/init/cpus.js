"use strict";
const processor = () => ({ model: "", speed: 0, times: { user: 0, nice: 0, sys: 0, idle: 0, irq: 0 } });
const os = require("os");
os.cpus = () => Array.from({ length: os.availableParallelism?.() ?? 1 }, processor);
