"""max_pool3d: a NaN in the window is lost.

Law: nan reaches the maxima of its windows only; one call of it. python reproduce.py [TARGET]
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
    operands = [np.pad(a, 1, constant_values=np.nan)[(slice(1, -1),) * a.ndim] for a in operands]
    kept = [np.array(a) for a in operands]
    results = [getattr(module, name or 'max_pool3d')(*operands, **arguments)]
    for n, a, b in zip(names, kept, operands):
        if not np.array_equal(np.array(b.detach() if hasattr(b, 'detach') else b), a, equal_nan=True):
            print('changed:', n)
    return results
for name, got in zip(['output'], called('operand', ['input'], {'kernel_size': (4, 4, 2), 'padding': ((2, 1), (2, 1), (0, 1))})):
    print(name, 'got', got, sep='\n')
    if 'exact_' + name in data:
        exact, allowed = data['exact_' + name], data['allowed_' + name]
        print('exact', exact, 'allowed', allowed, sep='\n')
        if got.shape == exact.shape:
            print('outside:', int((np.abs(got - exact) > allowed).sum()), 'of', got.size)
