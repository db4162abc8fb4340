"""How many people speak in a recording, guessed from pitch and tone. Knows samples only.

What is said between two pauses is said by one of them. Two heaps of such pieces are two people where they lie far
apart, or where there are many pieces and nothing lies between the heaps. Thresholds were set on 7 draft voices in 3
languages, alone and in all pairs, and on recordings of actors: where somebody acts, it says rather "one" than "two".
"""

from itertools import combinations

import numpy as np

from studio.media.voice_activity import Heard, stretches
from studio.media.voice_pitch import HOP

_PIECE = (1.0, 2.5)  # seconds; shorter ones are joined, longer ones divided
_VOICED = 25  # frames; with fewer a piece says nothing
_SEMITONES = 2.0  # by which one person's sentences differ
_SPREAD = 0.35  # of the spread of single moments, by which the tone of one person's sentences differs
_COEFFICIENTS = 13
_FAR = 10.3  # semitones, and 2.5 for each unit of tone
_MANY, _BETWEEN, _APART = 6, 5.5, 4.5  # pieces; squared distance over what lies between; least squared distance
_OWN = 0.8  # seconds that the second person must say


def speakers(heard: Heard) -> int:
    """1 or 2; 0: nobody speaks."""
    if not heard.voiced.any():
        return 0
    pieces = [piece[heard.voiced[piece]] for piece in _pieces(heard)]
    pieces = [piece for piece in pieces if len(piece) >= _VOICED]
    return 2 if len(pieces) > 1 and _two(heard, pieces) else 1


def _pieces(heard: Heard) -> list[np.ndarray]:
    """Frames of speech, in pieces that one person says."""
    least, most = _PIECE
    pieces: list[np.ndarray] = []
    for first, last in stretches(heard.speech):
        pieces += np.array_split(np.arange(first, last), max(1, int(np.ceil((last - first) * HOP / most))))
    while len(pieces) > 1:
        shortest = int(np.argmin([len(piece) for piece in pieces]))
        if len(pieces[shortest]) * HOP >= least:
            break
        ahead = pieces[shortest][0] - pieces[shortest - 1][-1] if shortest else np.inf
        behind = pieces[shortest + 1][0] - pieces[shortest][-1] if shortest + 1 < len(pieces) else np.inf
        at = shortest - 1 if ahead <= behind else shortest
        pieces[at : at + 2] = [np.concatenate(pieces[at : at + 2])]
    return pieces


def _two(heard: Heard, pieces: list[np.ndarray]) -> bool:
    tones = _tones(heard)
    spread = np.sqrt(np.mean([tones[:, piece].var(axis=1) for piece in pieces], axis=0)) + 1e-6
    pitch = np.array([12 * np.log2(np.median(heard.pitch[piece])) for piece in pieces]) / _SEMITONES
    tone = np.array([tones[:, piece].mean(axis=1) for piece in pieces]) / spread / _SPREAD / np.sqrt(_COEFFICIENTS)
    places = np.column_stack([pitch, tone])  # (pieces, 14), about 1 apart where one person speaks
    lengths = np.array([len(piece) for piece in pieces], float)
    second, between = _heaps(places, lengths)
    if second.all() or not second.any() or min(lengths[second].sum(), lengths[~second].sum()) * HOP < _OWN:
        return False
    one, other = (np.average(places[heap], axis=0, weights=lengths[heap]) for heap in (second, ~second))
    apart = float(np.square(one - other).sum())
    higher = _SEMITONES * abs(float(one[0] - other[0]))
    if higher + 2.5 * float(np.sqrt(np.square((one - other)[1:]).sum())) >= _FAR:
        return True
    alone = min(second.sum(), (~second).sum()) < 2  # one odd sentence is no second person
    return len(pieces) >= _MANY and not alone and apart >= max(_APART, _BETWEEN * between)


def _tones(heard: Heard) -> np.ndarray:
    """(13, T): the shape of the spectrum below 3.8 kHz, which a telephone keeps."""
    import librosa

    size = 2 * (len(heard.frequencies) - 1)
    mel = librosa.filters.mel(sr=heard.rate, n_fft=size, n_mels=32, fmin=100, fmax=3800)
    levels = 10 * np.log10(mel @ heard.power + 1e-12)
    return np.asarray(librosa.feature.mfcc(S=levels, n_mfcc=_COEFFICIENTS + 1)[1:])  # the first is loudness


def _heaps(places: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """(which belong to the second heap, mean squared distance within the heaps): the best of all beginnings."""
    best, least = np.zeros(len(places), bool), np.inf
    for pair in combinations(range(len(places)), 2):
        middles = places[list(pair)]
        for _ in range(8):
            distances = np.square(places[:, None] - middles).sum(axis=2)  # (pieces, 2)
            second = distances[:, 1] < distances[:, 0]
            if second.all() or not second.any():
                break
            middles = np.array([np.average(places[h], axis=0, weights=weights[h]) for h in (~second, second)])
        else:
            within = float(np.average(np.square(places - middles[second.astype(int)]).sum(axis=1), weights=weights))
            if within < least:
                best, least = second, within
    return best, least
