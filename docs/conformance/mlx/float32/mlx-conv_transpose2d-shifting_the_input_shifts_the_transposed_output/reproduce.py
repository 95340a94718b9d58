"""conv_transpose2d: `output` has shape (1, 1, 2, 0), but must have (1, 1, 4, 4).

Law: shifting the input shifts the transposed output; one call of it. python reproduce.py [TARGET]
"""
import importlib, importlib.util, json, sys
from pathlib import Path
import numpy as np
here = Path(__file__).parent
call, data = json.loads((here / "call.json").read_text()), np.load(here / "operands.npz")
target = sys.argv[1] if len(sys.argv) > 1 else None or call['target']
source, _, name = target.rpartition('=')[2].partition(':')
if source.endswith('.py'):
    spec = importlib.util.spec_from_file_location('subject', source)
    module = importlib.util.module_from_spec(spec)
    sys.path.append(str(Path(source).resolve().parent))
    spec.loader.exec_module(module)
elif target in (short := importlib.import_module('refconv.adapters').ADAPTERS):
    module = type('Short', (), {n: staticmethod(f) for n, f in short[target]().functions.items()})
else:
    module = importlib.import_module(source)
def called(kind, names, arguments):
    operands = [data[f'{kind}_{n}'] for n in names]
    operands = [np.repeat(a, 2, axis=-1)[..., ::2] for a in operands]
    kept = [np.array(a) for a in operands]
    results = [getattr(module, name or 'conv_transpose2d')(*operands, **arguments)]
    for n, a, b in zip(names, kept, operands):
        if not np.array_equal(np.array(b.detach() if hasattr(b, 'detach') else b), a, equal_nan=True):
            print('changed:', n)
    return results
for name, got in zip(['output'], called('operand', ['input', 'weight'], {'stride': 2, 'padding': ((2, 1), (3, 2)), 'dilation': (1, 2)})):
    print(name, 'got', got, sep='\n')
    if 'exact_' + name in data:
        exact, allowed = data['exact_' + name], data['allowed_' + name]
        print('exact', exact, 'allowed', allowed, sep='\n')
        if got.shape == exact.shape:
            print('outside:', int((np.abs(got - exact) > allowed).sum()), 'of', got.size)
