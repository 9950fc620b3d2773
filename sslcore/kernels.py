"""CUDA C, compiled when it is first needed by the compiler library that PyTorch brings along (NVRTC): nothing to install.

Whatever is written in it has a twin in plain PyTorch, which is used wherever this can't be.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

in_use = True
problems: list[str] = []  # why kernels could not be made here
started: list[int] | None = None  # a list, for a bench: the bytes of the tensors of every kernel that is started


@contextlib.contextmanager
def without() -> Iterator[None]:
    """Inside, the twins do it all; what is captured inside is made of PyTorch's own operations for ever."""
    global in_use
    in_use = False
    try:
        yield
    finally:
        in_use = True


MAX_DYNAMIC_SHARED_SIZE_BYTES = 8  # as the driver's interface numbers it


class KernelError(RuntimeError):
    """The kernels can't be compiled or loaded here."""


class Kernel:
    """One function on the GPU: `kernel(blocks, threads, *arguments)`, on the current stream.

    Tensors are passed as pointers, whole numbers as int, others as float; the caller answers for sizes and types.
    `shared_bytes`: of shared memory for each block.
    """

    def __init__(self, function: ctypes.c_void_p, context: ctypes.c_void_p, driver: ctypes.CDLL) -> None:
        self._function, self._context, self._driver = function, context, driver
        self._allowed = 48 * 1024  # bytes of shared memory; more must be asked for

    def __call__(self, blocks: int, threads: int, *arguments: Tensor | int | float, shared_bytes: int = 0) -> None:
        if started is not None:
            started.append(sum(each.numel() * each.element_size() for each in arguments if isinstance(each, Tensor)))
        _enter(self._context, self._driver)
        if shared_bytes > self._allowed:
            if told := self._driver.cuFuncSetAttribute(self._function, MAX_DYNAMIC_SHARED_SIZE_BYTES, shared_bytes):
                raise KernelError(f"{shared_bytes} bytes of shared memory can't be had: CUDA error {told}")
            self._allowed = shared_bytes
        values = [_as_c(argument) for argument in arguments]
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        told = self._driver.cuLaunchKernel(
            self._function, blocks, 1, 1, threads, 1, 1, shared_bytes, stream, pointers, None
        )
        if told:
            raise KernelError(f"a kernel could not be started: CUDA error {told}")


class Operation:
    """A function that starts kernels, as one of torch's own operations for torch.compile, which neither looks into it nor takes it apart.

    Whoever isn't compiled calls the function itself: torch's way to an operation written in Python takes longer than a kernel.
    `mutates`: names of the tensors that it writes into. `like`: what it returns, for the same arguments, without the numbers.
    """

    def __init__(
        self, name: str, function: Callable[..., Any], like: Callable[..., Any], mutates: tuple[str, ...] = ()
    ) -> None:
        self.function = function
        self.operation = torch.library.custom_op(f"ssllab::{name}", function, mutates_args=mutates)
        self.operation.register_fake(like)

    def __call__(self, *arguments: Any) -> Any:
        return self.operation(*arguments) if torch.compiler.is_compiling() else self.function(*arguments)


def _enter(context: ctypes.c_void_p, driver: ctypes.CDLL) -> None:
    """Make the context this thread's, where it has none: one that has not asked CUDA for anything yet, as autograd's in its first step."""
    present = ctypes.c_void_p()
    driver.cuCtxGetCurrent(ctypes.byref(present))
    if not present:
        driver.cuCtxSetCurrent(context)


def _as_c(argument: Tensor | int | float) -> ctypes.c_void_p | ctypes.c_int | ctypes.c_float:
    if isinstance(argument, Tensor):
        return ctypes.c_void_p(argument.data_ptr())
    return ctypes.c_int(argument) if isinstance(argument, int) else ctypes.c_float(argument)


@functools.cache
def built(source: str, names: tuple[str, ...], device: int) -> dict[str, Kernel] | None:
    """Compile the source for a device and return its `extern "C"` functions by name; None, and `problems` tells why, if that fails."""
    try:
        return _build(source, names, device)
    except RuntimeError as problem:  # torch's, where there is no GPU at all
        problems.append(str(problem))
        return None


def _build(source: str, names: tuple[str, ...], device: int) -> dict[str, Kernel]:
    code = compiled(source, "sm_{}{}".format(*torch.cuda.get_device_capability(device)))
    driver = _library("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    torch.zeros(1, device=torch.device("cuda", device))  # for torch to have made its context
    number, context, module = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
    told = driver.cuDeviceGet(ctypes.byref(number), device) or driver.cuDevicePrimaryCtxRetain(
        ctypes.byref(context), number
    )
    if told:
        raise KernelError(f"the GPU's context can't be had: CUDA error {told}")
    _enter(context, driver)
    if told := driver.cuModuleLoadData(ctypes.byref(module), code):
        raise KernelError(f"a kernel could not be loaded: CUDA error {told}")
    found = {}
    for name in names:
        function = ctypes.c_void_p()
        if told := driver.cuModuleGetFunction(ctypes.byref(function), module, name.encode()):
            raise KernelError(f"kernel {name} could not be found: CUDA error {told}")
        found[name] = Kernel(function, context, driver)
    return found


def compiled(source: str, architecture: str) -> bytes:
    """Return machine code for an architecture such as sm_90; KernelError with the compiler's words."""
    nvrtc = _compiler()
    program = ctypes.c_void_p()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"ssl-lab.cu", 0, None, None)
    try:
        options = (ctypes.c_char_p * 1)(f"--gpu-architecture={architecture}".encode())
        if nvrtc.nvrtcCompileProgram(program, 1, options):
            raise KernelError(_text(nvrtc, program, "ProgramLog").decode(errors="replace").strip() or "NVRTC failed")
        return _text(nvrtc, program, "CUBIN")
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _text(nvrtc: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    getattr(nvrtc, f"nvrtcGet{what}")(program, buffer)
    return buffer.raw


def _compiler() -> ctypes.CDLL:
    """Return NVRTC, by its name or from the packages that torch was installed with."""
    major = (torch.version.cuda or "0").split(".")[0]
    name = f"nvrtc64_{major}0_0.dll" if sys.platform == "win32" else f"libnvrtc.so.{major}"
    packages = Path(torch.__file__).parent.parent
    places = [
        name,
        *map(str, (packages / "torch" / "lib").glob(name)),
        *map(str, packages.glob(f"nvidia/*/lib/{name}")),
    ]
    problems = []
    for place in places:
        try:
            return ctypes.CDLL(place)
        except OSError as problem:
            problems.append(str(problem))
    raise KernelError(f"PyTorch's compiler library can't be loaded: {problems[0]}")


def _library(name: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(name)
    except OSError as problem:
        raise KernelError(f"the driver's library can't be loaded: {problem}") from None
