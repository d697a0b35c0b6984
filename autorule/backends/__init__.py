"""Where answers come from: `open_backend` turns a ModelConfig into a back end."""

import atexit
import ctypes
import os
import threading
from pathlib import Path

from autorule.backends.answer_store import WAIT_S, AnswerStore
from autorule.backends.base import Backend
from autorule.backends.cached import CachedBackend
from autorule.backends.forgiving import ForgivingStore, say_once, tell_once
from autorule.config.cache_place import USED_BEFORE, told_of_used_before
from autorule.config.models import CacheConfig, ModelConfig
from autorule.runs.budget import Account, Budget

TRAINING_WAIT_S = 5.0
"""For a cache file that another process writes to: a step is not kept waiting for long."""

_lock = threading.Lock()
_backends: dict[str, Backend] = {}
_stores: dict[Path, AnswerStore] = {}


def open_backend(config: ModelConfig) -> Backend:
    """The back end of a config: one for the process, so that a model is loaded and a limit counted only once.

    Raises MissingExtraError when its packages are not installed, ConfigError when its settings can't work.
    """
    key = config.model_dump_json()
    with _lock:
        if key not in _backends:
            _backends[key] = _make_backend(config)
        return _backends[key]


def open_cached(model: ModelConfig, cache: CacheConfig, budget: Budget | None = None) -> CachedBackend:
    """The back end of `model` behind the answer cache, with call counts of its own; calls go on `budget`."""
    store = _open_store(cache) if cache.enabled else None
    return CachedBackend(open_backend(model), store, Account(budget, model) if budget else None)


def open_for_training(model: ModelConfig, cache: CacheConfig) -> CachedBackend:
    """As open_cached, but a cache that can't be used costs the cache alone, and a warning."""
    store = None
    if cache.enabled:
        try:
            store = ForgivingStore(_open_store(cache, TRAINING_WAIT_S))
            if cache.path is None and (told := told_of_used_before()) is not None:
                say_once(told)
        except Exception as error:  # noqa: BLE001 - no cache is worth a training step
            tell_once(cache.path or USED_BEFORE, error)
    return CachedBackend(open_backend(model), store)


def check_cache(cache: CacheConfig) -> None:
    """Raises ConfigError for a cache that can't be used: before the work that would need it, not within."""
    if cache.enabled:
        _open_store(cache)


def close_backends() -> None:
    """Ends every back end and cache of this process."""
    with _lock:
        for backend in _backends.values():
            backend.close()
        for store in _stores.values():
            store.close()
        _backends.clear()
        _stores.clear()


def _forget_after_fork() -> None:
    """The threads and connections of the parent are not the child's: it opens its own.

    What it inherited is never touched again, not even to clean up when it ends: the sockets are the parent's, and so
    is what its event loop waits by. Closing them here would leave the parent waiting for replies that came.
    """
    global _lock
    _lock = threading.Lock()
    inherited = (*_backends.values(), *_stores.values())
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))  # so that nothing ever finalises them
    _backends.clear()
    _stores.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
atexit.register(close_backends)  # however a process ends, its connections are closed without a word on stderr


def _make_backend(config: ModelConfig) -> Backend:
    match config.backend:
        case "transformers_local":
            from autorule.backends.transformers_local import TransformersLocalBackend

            return TransformersLocalBackend(config)
        case "vllm_engine":
            from autorule.backends.vllm_engine import VllmEngineBackend

            return VllmEngineBackend(config)
        case "openai_compatible":
            from autorule.backends.openai_compatible import OpenAICompatibleBackend

            return OpenAICompatibleBackend(config)
        case "scripted":
            from autorule.backends.scripted import open_script

            return open_script(config.model)


def _open_store(cache: CacheConfig, wait_s: float = WAIT_S) -> AnswerStore:
    path = Path(os.path.realpath(cache.file))
    with _lock:
        if path not in _stores:
            _stores[path] = AnswerStore(path, int(cache.max_gb * 1e9), wait_s)
        return _stores[path]
