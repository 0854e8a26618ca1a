// Works for as much CPU time as the first line of the input says: "MODE MICROSECONDS".
const input = require("fs").readFileSync(0, "utf8");
const [mode, target] = input.slice(0, input.indexOf("\n")).split(" ");

function usedUs() {
    const { user, system } = process.cpuUsage();
    return user + system;
}

const table = new Uint32Array(16384);

function work() {
    for (let i = 0; i < 20000; i++) table[(i * 7919) % 16384] += i ^ table[i % 16384];
}

async function main() {
    let written = 0;
    for (let pieces = 0; usedUs() < Number(target); pieces++) {
        work();
        if (mode === "sleep" && pieces % 50 === 0) await new Promise((wake) => setTimeout(wake, 1));
        if (mode === "write" && written < 1000) {
            written++;
            process.stdout.write("x".repeat(999) + "\n");
        }
    }
    console.log("done");
}

main();
