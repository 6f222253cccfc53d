from fastapi import APIRouter, Depends
from library.accounts import Reader, signed_in

router = APIRouter()


@router.get("/loans")
async def loans(reader: Reader = Depends(signed_in), auth: str = Depends(verify_token)):
    return await reader.loans()


@router.delete("/loans/{loan}")
async def end_loan(loan: int):
    await Loan.filter(id=loan).delete()
    return {"ended": loan}
