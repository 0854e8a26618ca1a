const [name] = require('fs').readFileSync(0, 'utf8').trim().split(' ');
console.log(`Hello, ${name}!`);
