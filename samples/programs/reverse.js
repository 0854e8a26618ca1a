const line = require('fs').readFileSync(0, 'utf8').replace(/\r?\n[^]*$/, '');
console.log([...line].reverse().join(''));
