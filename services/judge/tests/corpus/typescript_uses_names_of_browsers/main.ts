const name: string = "name";
let status = 1, length = 2;
const top = 3, event = 4, self = 5, parent = 6, location = 7, origin = 8, screen = 9, history: number[] = [];
const process = 10, performance = 11, fetch = 12, global = 13;
const document = 14, window = 15;

class Node {
    constructor(readonly value: number, readonly next?: Node) {}
}

interface Event {
    id: number;
}

function close(): void {}
function print(text: string): void {
    console.log(text);
}

close();
const first: Event = { id: status + length };
print(`${name} ${first.id} ${new Node(top).value} ${event + self + parent + location + origin + screen}`);
print(`${history.length} ${process + performance + fetch + global + document + window}`);
