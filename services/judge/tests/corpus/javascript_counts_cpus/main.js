const { cpus } = require("os");
const os = require("os");
const parallel = os.availableParallelism?.() ?? 1;
console.log(cpus().length === parallel, cpus().length > 0, typeof cpus()[0].model, cpus()[0].times.user);
