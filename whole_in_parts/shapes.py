"""Types that name the shape of a tensor, such as `Float[Tensor, "B C H W"]`; the tests check them at run time.

A name stands for the same size everywhere in a signature. To a type checker each is a Tensor. Where jaxtyping is not
installed, shapes are only documentation.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Num, UInt8
else:
    try:
        from jaxtyping import Float, Int, Num, UInt8
    except ModuleNotFoundError:

        class Float:
            """A tensor type that ignores its shape."""

            def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
                return item[0]

        Int = Num = UInt8 = Float

__all__ = ["Float", "Int", "Num", "UInt8"]
